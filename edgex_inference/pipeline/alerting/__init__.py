"""Telling people through support-notifications."""
