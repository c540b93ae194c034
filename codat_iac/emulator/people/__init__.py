"""What people do with an emulator: the pages that they see, and the routes under /_emulator."""
