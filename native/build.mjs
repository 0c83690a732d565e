// Placeholder until the addons land.
process.exit(0);
