"""The stream: metering core, Faust agents, embedded runner, rate and settle jobs."""
