"""The tutorial backend of corenn: single precision on the host, arrays that nobody can write to by mistake."""
