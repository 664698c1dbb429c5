"""`make run`: the embedded services, the web server, the workers and beat under one supervisor."""
