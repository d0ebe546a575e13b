"""What a run is shown as: tables for the terminal and for files."""
