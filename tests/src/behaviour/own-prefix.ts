/**
 * Prefixes that no other test uses: tests share a keyspace and must not share keys.
 */
let used = 0

export function ownPrefix(): string {
  used += 1
  return `test-${used}/`
}
