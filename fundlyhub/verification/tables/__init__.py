"""The tables that follow from the events, made anew from the log beside the live ones and compared with them."""
