"""Pages for people: sign in, consent, and what they have consented to. No script is needed for any of them."""
