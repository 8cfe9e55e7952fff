"""What is built: CFFI modules, programs, copied data; finished, verified and packed."""
