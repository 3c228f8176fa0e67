"""Message buses behind one port."""
