"""Acts of people: the pages that they see, and the control routes under /_emulator."""
