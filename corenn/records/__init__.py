"""The formats that files of events, checkpoints and graphs share: messages, checksums and record streams.

- ``corenn.records.protobuf``: the wire format of Protocol Buffers, written and read field by field;
- ``corenn.records.checksum``: CRC-32C, whole, in pieces and masked;
- ``corenn.records.framing``: records with length and checksums, one after the other in a file.

The modules know bytes and nothing of what they mean; who uses them names the file in the errors users see.
"""
