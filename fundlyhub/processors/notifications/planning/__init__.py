"""From events to messages: what each event tells whom, from the event and from the App DB."""
