"""The language of rule files: events and facts, actions, rules, samples."""
