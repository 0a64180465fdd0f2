"""The Faust shell: crash-only agents around the durable write. Nothing outside this folder imports faust."""
