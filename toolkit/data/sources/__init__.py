"""Where tables come from: files, folders, archives, the Hub."""
