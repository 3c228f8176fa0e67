"""Logs in EdgeX's form, counters and histograms; knows no bus and no HTTP."""
