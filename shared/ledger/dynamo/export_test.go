package dynamo

// Copy returns a store on the same tables that remembers nothing yet.
func Copy(s *Store) *Store { return New(s.api, s.tables) }
