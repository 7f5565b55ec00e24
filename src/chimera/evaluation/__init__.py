"""Errors of forecasters."""
