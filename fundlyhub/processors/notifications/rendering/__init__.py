"""Messages in their readers' languages: template values become the texts of a mail, a push message or an SMS."""
