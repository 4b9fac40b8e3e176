/**
 * The commands that read and write entries, on a client. Each resolves with whether it did what it
 * was asked for.
 */
import type { UntypedClient } from '../kv-client.js'
import type { Command } from './command-line.js'
import { jsonOf, textOf, valueOf } from './value-text.js'

export interface Output {
  /** Resolves when the line is on its way: a slow reader is waited for. */
  line(text: string): Promise<void>
  /** What is wrong, for people. */
  complain(text: string): void
  readonly isJson: boolean
}

type Of<T extends Command['type']> = Extract<Command, { readonly type: T }>

export async function get(
  client: UntypedClient,
  { key }: Of<'get'>,
  out: Output,
): Promise<boolean> {
  const entry = await client.getEntry(key)
  if (entry === undefined) {
    out.complain(`there is no entry ${key}`)
    return false
  }
  await out.line(out.isJson ? jsonOf(entry) : textOf(entry.value))
  return true
}

export async function set(
  client: UntypedClient,
  { key, text, how }: Of<'set'>,
  out: Output,
): Promise<boolean> {
  const value = valueOf(text, out.isJson)
  const { ifVersion, ttlMs: ttl } = how
  const written =
    ifVersion === undefined
      ? await client.set(key, value, { ttl })
      : await client.set(key, value, { ttl, ifVersion })
  if (!written.ok) {
    const version = written.current?.version
    const standing = version === undefined ? 'it is not there' : `it has version ${version}`
    out.complain(`${key} is not written: ${standing}`)
  }
  if (out.isJson) await out.line(jsonOf(written))
  else if (written.ok) await out.line(`version ${written.version}`)
  return written.ok
}

export async function remove(
  client: UntypedClient,
  { keys }: Of<'delete'>,
  out: Output,
): Promise<boolean> {
  const deleted = await client.deleteMany(keys)
  const count = deleted.filter(Boolean).length
  await out.line(out.isJson ? jsonOf({ deleted: count }) : `${count} deleted`)
  return count === keys.length
}

export async function increment(
  client: UntypedClient,
  { key, by }: Of<'increment'>,
  out: Output,
): Promise<boolean> {
  const counted = await client.increment(key, by)
  await out.line(out.isJson ? jsonOf(counted) : String(counted.value))
  return true
}

export async function list(
  client: UntypedClient,
  { range, isKeysOnly }: Of<'list'>,
  out: Output,
): Promise<boolean> {
  if (isKeysOnly) {
    for await (const key of client.keys(range)) await out.line(out.isJson ? jsonOf(key) : key)
    return true
  }
  for await (const entry of client.list(range)) {
    await out.line(out.isJson ? jsonOf(entry) : `${entry.key}\t${textOf(entry.value)}`)
  }
  return true
}

/** Goes on until `signal` aborts. */
export async function watch(
  client: UntypedClient,
  { what, isInitial }: Of<'watch'>,
  out: Output,
  signal: AbortSignal,
): Promise<boolean> {
  const watching =
    typeof what === 'string'
      ? client.watch(what, { initial: isInitial, signal })
      : client.watch(what, { initial: isInitial, signal })
  try {
    for await (const event of watching) {
      if (out.isJson) await out.line(jsonOf(event))
      else if (event.type === 'set') {
        await out.line(`set\t${event.key}\t${textOf(event.value)}`)
      } else if ('key' in event) await out.line(`${event.type}\t${event.key}`)
      else await out.line(event.type === 'reset' ? `reset\t${event.reason}` : event.type)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  return true
}
