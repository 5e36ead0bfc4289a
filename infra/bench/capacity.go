package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// attributes is an item, or a key, as DynamoDB's JSON has it: name → type → value.
type attributes map[string]map[string]json.RawMessage

// size is an item's size as DynamoDB counts it: names and values, in bytes.
func (a attributes) size() int {
	n := 0
	for name, value := range a {
		n += len(name) + valueSize(value)
	}
	return n
}

func valueSize(value map[string]json.RawMessage) int {
	for kind, raw := range value {
		switch kind {
		case "S":
			var s string
			_ = json.Unmarshal(raw, &s)
			return len(s)
		case "N":
			return (len(raw)-2)/2 + 2 // two digits a byte, a byte for sign and exponent
		case "B":
			var s string
			_ = json.Unmarshal(raw, &s)
			return base64.StdEncoding.DecodedLen(len(s))
		case "BOOL", "NULL":
			return 1
		}
		return len(raw) // sets, lists, maps: no smaller than their JSON
	}
	return 0
}

// id names an item across tables by its primary key.
func (a attributes) id(table string, key []string) string {
	var b strings.Builder
	b.WriteString(table)
	for _, name := range key {
		for _, raw := range a[name] {
			b.WriteByte('\n')
			b.Write(raw)
		}
	}
	return b.String()
}

// Units of one item: 1 KB a write, 4 KB a consistent read.
func writeUnits(bytes int) float64 { return math.Max(1, math.Ceil(float64(bytes)/1024)) }
func readUnits(bytes int) float64  { return math.Max(1, math.Ceil(float64(bytes)/4096)) }

// stored is what is known of an item: its size and its place in the index.
type stored struct {
	bytes int
	index string
}

// capacity counts the units that calls to DynamoDB take. It remembers the
// items that went by, because a call that changes or checks an item is billed
// by the item and shows its key only.
type capacity struct {
	keys  map[string][]string // table → names of its primary key
	items map[string]stored
}

// indexed are the attributes of the one index; a write that moves an item in
// it is billed there too.
var indexed = []string{"open", "due_at"}

type action struct {
	TableName string
	Item      attributes
	Key       attributes
	// Of UpdateItem: what the item can grow by.
	ExpressionAttributeValues attributes
}

type tableCall struct {
	action
	ConsistentRead bool
	TransactItems  []map[string]*action
	RequestItems   map[string]struct {
		Keys           []attributes
		ConsistentRead bool
	}
}

type tableAnswer struct {
	Item      attributes
	Items     []attributes
	Responses map[string][]attributes
}

// count returns the units of one call, given its body and its answer's.
func (c *capacity) count(operation string, request, response []byte) (float64, error) {
	var call tableCall
	if err := json.Unmarshal(request, &call); err != nil {
		return 0, fmt.Errorf("reading a call of DynamoDB %s: %w", operation, err)
	}
	var answer tableAnswer
	if err := json.Unmarshal(response, &answer); err != nil {
		return 0, fmt.Errorf("reading an answer of DynamoDB %s: %w", operation, err)
	}
	switch operation {
	case "GetItem":
		c.learn(call.TableName, answer.Item)
		return consistent(readUnits(answer.Item.size()), call.ConsistentRead), nil
	case "Query":
		n := 0
		for _, it := range answer.Items {
			c.learn(call.TableName, it)
			n += it.size()
		}
		return consistent(readUnits(n), call.ConsistentRead), nil
	case "BatchGetItem":
		total := 0.0
		for table, want := range call.RequestItems {
			missing := len(want.Keys)
			for _, it := range answer.Responses[table] {
				c.learn(table, it)
				total += consistent(readUnits(it.size()), want.ConsistentRead)
				missing--
			}
			total += float64(missing) * consistent(1, want.ConsistentRead)
		}
		return total, nil
	case "TransactWriteItems":
		total := 0.0
		for _, one := range call.TransactItems {
			for _, what := range slices.Sorted(maps.Keys(one)) {
				n, err := c.write(what, one[what])
				if err != nil {
					return 0, err
				}
				total += 2 * n
			}
		}
		return total, nil
	}
	return c.write(strings.TrimSuffix(operation, "Item"), &call.action)
}

func consistent(units float64, yes bool) float64 {
	if yes {
		return units
	}
	return units / 2
}

// write counts one write: by the larger of what was there and what is.
func (c *capacity) write(what string, a *action) (float64, error) {
	key, ok := c.keys[a.TableName]
	if !ok {
		return 0, fmt.Errorf("counting a write: the table %s is not the stack's", a.TableName)
	}
	switch what {
	case "Put":
		id := a.Item.id(a.TableName, key)
		old := c.items[id]
		is := stored{bytes: a.Item.size(), index: a.Item.place()}
		c.items[id] = is
		return writeUnits(max(old.bytes, is.bytes)) + moved(old.index, is.index), nil
	case "Update":
		id := a.Key.id(a.TableName, key)
		is := c.items[id]
		is.bytes = max(is.bytes, a.Key.size()) + a.ExpressionAttributeValues.size()
		c.items[id] = is
		return writeUnits(is.bytes), nil
	case "Delete":
		id := a.Key.id(a.TableName, key)
		old := c.items[id]
		delete(c.items, id)
		return writeUnits(old.bytes) + moved(old.index, ""), nil
	case "ConditionCheck":
		return writeUnits(c.items[a.Key.id(a.TableName, key)].bytes), nil
	}
	return 0, fmt.Errorf("counting a write of DynamoDB: %s is unknown", what)
}

func (a attributes) place() string {
	if _, ok := a[indexed[0]]; !ok {
		return ""
	}
	return a.id("", indexed)
}

// moved is what the index bills: nothing for an item that stays, one write for
// an entry that comes or goes, two for one that moves.
func moved(from, to string) float64 {
	switch {
	case from == to:
		return 0
	case from == "" || to == "":
		return 1
	}
	return 2
}

func (c *capacity) learn(table string, it attributes) {
	key := c.keys[table]
	for _, name := range key {
		if _, whole := it[name]; !whole {
			return // not found, or a projection
		}
	}
	if _, ok := it["doc"]; !ok || len(key) == 0 {
		return
	}
	c.items[it.id(table, key)] = stored{bytes: it.size(), index: it.place()}
}
