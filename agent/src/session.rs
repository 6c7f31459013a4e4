//! Claim, report, assignment: the agent's conversation with the server.
