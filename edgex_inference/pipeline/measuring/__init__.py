"""Figures of the whole service: kept, told, reported."""
