/**
 * Which options a call knows. Pure.
 *
 * A name that is none is a slip of the pen (`tll`): to ignore it would be to do something else than
 * was asked for. It is refused, with the names that were probably meant.
 */
export type KnownOptions = ReadonlySet<string>

const OF_CALLS = ['signal', 'timeout']
const OF_READS = [...OF_CALLS, 'consistency']
const OF_EXPIRY = ['ttl', 'expiresAt', 'keepTtl']
const OF_RANGES = ['prefix', 'gt', 'gte', 'lt', 'lte']

export const CALL_OPTIONS: KnownOptions = new Set(OF_CALLS)
export const READ_OPTIONS: KnownOptions = new Set(OF_READS)
export const SET_OPTIONS: KnownOptions = new Set([...OF_CALLS, ...OF_EXPIRY, 'ifVersion'])
export const INCREMENT_OPTIONS: KnownOptions = new Set([...OF_CALLS, 'ttl', 'min', 'max'])
export const UPDATE_OPTIONS: KnownOptions = new Set([...OF_CALLS, ...OF_EXPIRY, 'retries'])
export const ATOMIC_SET_OPTIONS: KnownOptions = new Set(OF_EXPIRY)
export const ATOMIC_INCREMENT_OPTIONS: KnownOptions = new Set(['ttl', 'min', 'max'])
export const LOCK_OPTIONS: KnownOptions = new Set(['ttl', 'wait', 'signal'])
export const COUNT_OPTIONS: KnownOptions = new Set([...OF_READS, ...OF_RANGES])
export const LIST_OPTIONS: KnownOptions = new Set([
  ...COUNT_OPTIONS,
  'limit',
  'reverse',
  'cursor',
  'pageSize',
])
export const WATCH_OPTIONS: KnownOptions = new Set([...OF_CALLS, 'since', 'initial'])
export const CLEAR_OPTIONS: KnownOptions = new Set([...OF_CALLS, 'prefix', 'all'])
export const ENTRY_FIELDS: KnownOptions = new Set(['key', 'value', 'ttl'])
export const NAMESPACE_OPTIONS: KnownOptions = new Set(['schema', 'validateOnRead'])

/** Throws `TypeError` for what is no object, and for a name that is none. */
export function assertOptions(options: unknown, known: KnownOptions): asserts options is object {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`options is an object, not ${options === null ? 'null' : typeof options}`)
  }
  for (const name in options) {
    if (known.has(name) || (options as Record<string, unknown>)[name] === undefined) continue
    throw new TypeError(`there is no option ${JSON.stringify(name)}: ${advice(name, known)}`)
  }
}

function advice(name: string, known: KnownOptions): string {
  const apartMax = 2 * Math.max(1, Math.floor(name.length / 3))
  const near = Array.from(known).filter((option) => lettersApart(name, option) <= apartMax)
  if (near.length > 0) return `did you mean ${near.join(' or ')}?`
  return `there are ${Array.from(known).join(', ')}`
}

/** Letters that only one of the two has. A slip of the pen swaps, drops or doubles a few. */
function lettersApart(left: string, right: string): number {
  let apart = 0
  let rest = right.toLowerCase()
  for (const letter of left.toLowerCase()) {
    if (!rest.includes(letter)) apart += 1
    rest = rest.replace(letter, '')
  }
  return apart + rest.length
}
