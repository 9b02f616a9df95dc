"""Thousands of texts, names and pictures made to take long, to grow or to cause errors."""
