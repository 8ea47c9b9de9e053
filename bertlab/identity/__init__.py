"""Identity: the settings, the code and the environment that a result depends on; by them a finished run is found."""
