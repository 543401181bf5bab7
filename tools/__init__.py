"""Programs for work on this project; `set_up_venv` needs nothing but Python, `mutants` the extra `dev`."""
