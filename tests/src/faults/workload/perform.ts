/**
 * An action of a history as a call of the client, and what the client says as an answer.
 */
import type { UntypedClient } from '@kv/client'
import type { Action, Answer, Found } from '../history/operation.js'
import { padded, unpadded } from './padding.js'

interface Entry {
  readonly value: unknown
  readonly version: number
}

type Refusable = { readonly ok: true; readonly version?: number } | Refusal

interface Refusal {
  readonly ok: false
  readonly current: Entry | undefined
}

/** `withVersions`: whether reads ask for the version, too. */
export async function perform(
  client: UntypedClient,
  action: Action,
  withVersions: boolean,
): Promise<Answer> {
  switch (action.type) {
    case 'read':
      return { type: 'read', found: await read(client, action.key, withVersions) }
    case 'set':
      return set(client, action)
    case 'delete':
      return remove(client, action)
    case 'increment': {
      const { value, version } = await client.increment(action.key, action.by)
      return { type: 'written', value, version }
    }
    case 'atomic':
      return commit(client, action)
    case 'expire':
      throw new Error('an expiry is nothing that a client calls')
  }
}

async function read(
  client: UntypedClient,
  key: string,
  withVersions: boolean,
): Promise<Found | undefined> {
  if (withVersions) return foundOf(await client.getEntry(key))
  const value = await client.get<unknown>(key)
  return value === undefined ? undefined : { value: unpadded(value) }
}

async function set(
  client: UntypedClient,
  { key, value, ifVersion, ttlMs }: Extract<Action, { type: 'set' }>,
): Promise<Answer> {
  const expiry = ttlMs === undefined ? {} : { ttl: ttlMs }
  const result: Refusable =
    ifVersion === undefined
      ? await client.set(key, padded(value), expiry)
      : await client.set(key, padded(value), { ...expiry, ifVersion })
  return result.ok ? { type: 'written', version: result.version ?? 0 } : refusal(key, result)
}

async function remove(
  client: UntypedClient,
  { key, ifVersion }: Extract<Action, { type: 'delete' }>,
): Promise<Answer> {
  if (ifVersion === undefined) return { type: 'deleted', existed: await client.delete(key) }
  const result: Refusable = await client.deleteIf(key, ifVersion)
  return result.ok ? { type: 'deleted', existed: true } : refusal(key, result)
}

async function commit(
  client: UntypedClient,
  { checks, sets }: Extract<Action, { type: 'atomic' }>,
): Promise<Answer> {
  const batch = client.atomic()
  for (const { key, version } of checks) batch.check(key, version)
  for (const { key, value } of sets) batch.set(key, padded(value))
  const result = await batch.commit()
  if (result.ok) return { type: 'written', version: result.version }
  const conflicts = result.failed.map(({ key, current }) => ({ key, current: foundOf(current) }))
  return { type: 'refused', conflicts }
}

function refusal(key: string, { current }: Refusal): Answer {
  return { type: 'refused', conflicts: [{ key, current: foundOf(current) }] }
}

function foundOf(entry: Entry | undefined): Found | undefined {
  if (entry === undefined) return undefined
  return { value: unpadded(entry.value), version: entry.version }
}
