"""A model behind HTTP: a server for programs, and an app for people."""
