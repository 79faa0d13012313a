"""Mail: bytes that a stranger wrote become headers, texts, links and files.

``reader.read_letter`` takes a mail apart; ``process`` does so in a confined process, where the daemon must.
"""
