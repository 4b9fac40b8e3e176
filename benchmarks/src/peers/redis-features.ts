/**
 * A conditional set as users of Redis write it. `WATCH` with `MULTI` holds for a connection, so calls in
 * flight at once would need a connection each; a script needs none, and is sent by its hash.
 */
export const COMPARE_AND_SET = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
`

/** What a channel of a key's changes is called, once the server tells of them. */
export function changesOf(key: string): string {
  return `__keyspace@0__:${key}`
}

/** Changes of strings, by key. Set while somebody watches, as it costs every write. */
export const TELL_CHANGES = ['notify-keyspace-events', 'K$'] as const
export const TELL_NOTHING = ['notify-keyspace-events', ''] as const
