"""`make imported`: real models that no package of ours holds, fetched, converted and compared."""
