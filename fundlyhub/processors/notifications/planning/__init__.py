"""From events to messages: content and recipients, from the event and the App DB."""
