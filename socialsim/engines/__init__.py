"""Engines that are not HTTP: llama.cpp in process."""
