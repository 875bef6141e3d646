"""Raw streams of digitiser DAQs, decoded into tables."""
