"""JSON Schema (draft 2020-12) of what people write: blocks, profiles, side-cars, devices files, model cards."""
