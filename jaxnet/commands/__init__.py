"""The commands of `python -m jaxnet`: what each takes, does and prints."""
