"""The language of rule files: triggers and facts, actions, rules, samples."""
