import { describe, expect, test } from 'vitest'
import { inUtf8 } from './bytes.js'
import type { Clients } from './keyspace-behaviour.js'
import { ownPrefix } from './own-prefix.js'

const LONGEST_BYTES = 2_048

/** Keys that break what was not built for them; each is a key like any other. */
const ODD_KEYS: Readonly<Record<string, string>> = {
  'one character': 'x',
  'a space': ' ',
  NUL: '\0',
  'NUL within': 'a\0b',
  'NUL at the end': 'a\0',
  'a newline': 'a\nb',
  'the name of a prototype': '__proto__',
  'the name of a constructor': 'constructor',
  'the name of a method': 'toString',
  'the name of a length': 'length',
  emoji: '🦊🚀',
  'a family of emoji': '👩‍👩‍👧‍👦',
  'a composed letter': '\u00e9',
  'a letter with a combining mark': 'e\u0301',
  'a mark on nothing': '\u0301',
  'the last character of Unicode': '\u{10ffff}',
  'the last before the surrogates': '\ud7ff',
  'the first after the surrogates': '\ue000',
  'a non-character': '\uffff',
  'the replacement character': '\ufffd',
  'a byte order mark': '\ufeffkey',
  'right to left': '\u202eabc \u05e9\u05dc\u05d5\u05dd',
  'the longest, in ASCII': 'k'.repeat(LONGEST_BYTES),
  'the longest, in emoji': '🦊'.repeat(LONGEST_BYTES / 4),
  'the longest, in three bytes': `${'語'.repeat(682)}ab`,
  'a {tag}': '{tag}key',
  'an empty {}': '{}key',
  'an open {': '{key',
  'two tags': '{a}{b}',
  'a tag with NUL': '{\0}key',
  'a path': '../../etc/passwd',
  'a number': '0',
}

export function describeKeys(clients: () => Clients): void {
  describe('odd keys', () => {
    test.each(Object.entries(ODD_KEYS))('%s', async (name, key) => {
      const { client, other } = clients()
      await client.delete(key)
      const { version } = await client.set(key, name)
      expect(await other.get(key)).toBe(name)
      expect(await other.getEntry(key)).toEqual({ key, value: name, version })
      expect(await other.keys({ gte: key, lte: key }).toArray()).toEqual([key])
      expect(await client.touch(key, 60_000)).toBe(true)
      expect(await client.delete(key)).toBe(true)
      expect(await other.has(key)).toBe(false)
    })

    test('no two of them are the same key', async () => {
      const { client, other } = clients()
      const pairs = Object.entries(ODD_KEYS).map(([name, key]) => [key, name] as const)
      await client.setMany(pairs)
      expect(await other.getMany(pairs.map(([key]) => key))).toEqual(pairs.map(([, name]) => name))
      await client.deleteMany(pairs.map(([key]) => key))
    })

    test('odd keys under a prefix come back from a list', async () => {
      const { client, other } = clients()
      const prefix = ownPrefix()
      const short = Object.values(ODD_KEYS).filter((key) => key.length < 100)
      const keys = short.map((key) => prefix + key)
      await client.setMany(keys.map((key) => [key, 1] as const))
      expect(await other.keys({ prefix }).toArray()).toEqual(keys.toSorted(inUtf8))
    })
  })
}
