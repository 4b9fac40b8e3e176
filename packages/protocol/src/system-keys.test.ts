import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KvError } from './errors.js'
import { assertKey, compareKeys, shardOf } from './keys.js'
import { KEY_BYTES_MAX } from './limits.js'
import {
  isSystemKey,
  lockQueueKey,
  lockWaiterKey,
  readKeyName,
  SYSTEM_KEY_BYTE,
  SYSTEM_KEY_OVERHEAD_BYTES,
  SYSTEM_KEYS_START,
  writeKeyName,
} from './system-keys.js'
import { WireReader } from './wire-reader.js'
import { WireWriter } from './wire-writer.js'

const key = fc.string({ unit: 'binary', minLength: 1, maxLength: 30 })
const systemKey = fc.oneof(
  key.map(lockQueueKey),
  fc.tuple(key, fc.maxSafeNat()).map(([lock, ticket]) => lockWaiterKey(lock, ticket)),
)

function bytesOf(name: string): Uint8Array {
  const writer = new WireWriter()
  writeKeyName(writer, name)
  return writer.written().slice()
}

describe('system keys', () => {
  test('no user can name one, and none is below a key of a user', () => {
    fc.assert(
      fc.property(systemKey, key, (system, user) => {
        expect(isSystemKey(system)).toBe(true)
        expect(isSystemKey(user)).toBe(false)
        expect(() => assertKey(system)).toThrow(KvError)
        expect(compareKeys(user, SYSTEM_KEYS_START)).toBeLessThan(0)
        expect(compareKeys(SYSTEM_KEYS_START, system)).toBeLessThan(0)
      }),
    )
    expect(compareKeys('\u{10ffff}', SYSTEM_KEYS_START)).toBeLessThan(0)
  })

  test('is in the shard of the key it belongs to, whatever that looks like', () => {
    fc.assert(
      fc.property(fc.oneof(key, fc.constantFrom('a/b', '{t}/x', 'a}b{')), (lock) => {
        const home = shardOf(lock, 4_096)
        expect(shardOf(lockQueueKey(lock), 4_096)).toBe(home)
        expect(shardOf(lockWaiterKey(lock, 7), 4_096)).toBe(home)
      }),
    )
  })

  test('names of either kind → come back; in bytes a system key begins with 0xFF', () => {
    fc.assert(
      fc.property(fc.oneof(key, systemKey), (name) => {
        const bytes = bytesOf(name)
        const reader = new WireReader(bytes)
        expect(readKeyName(reader, KEY_BYTES_MAX)).toBe(name)
        reader.finish()
        expect(bytes[0] === 0xc4 && bytes[2] === SYSTEM_KEY_BYTE).toBe(isSystemKey(name))
      }),
    )
  })

  test('with the longest key → still within its limit', () => {
    const longest = lockWaiterKey('k'.repeat(KEY_BYTES_MAX), Number.MAX_SAFE_INTEGER)
    expect(longest.length - KEY_BYTES_MAX).toBeLessThanOrEqual(SYSTEM_KEY_OVERHEAD_BYTES)
    expect(readKeyName(new WireReader(bytesOf(longest)), KEY_BYTES_MAX)).toBe(longest)
  })

  test.each([
    ['a number', '07'],
    ['no bytes', 'c4 00'],
    ['0xFF alone', 'c4 01 ff'],
    ['another byte in front', 'c4 02 fe 61'],
    ['bytes that are not UTF-8 behind it', 'c4 02 ff ff'],
    ['0xFF in a text', 'a2 ff 61'],
  ])('%s → PROTOCOL', (_, hex) => {
    const reader = new WireReader(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
    expect(() => readKeyName(reader, KEY_BYTES_MAX)).toThrow(KvError)
  })
})
