"""Texts, names and pictures that are made to take long, to grow or to be answered worse, by the thousand."""
