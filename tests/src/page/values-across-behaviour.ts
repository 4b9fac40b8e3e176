/**
 * The page's half of `values-across.ts`.
 */
import { createClient } from '@kv/client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readValues, writeValues } from './values-across.js'

export function describeValuesAcross(url: string): void {
  describe('values of Node.js and of a page', () => {
    test('any value that Node.js wrote reads the same here', async () => {
      const client = createClient(url)
      onTestFinished(() => client.close())
      const { found, expected } = await readValues(client, 'across/node/')
      expect(found).toStrictEqual(expected)
    })

    test('any value written here is read here, and left for Node.js to read', async () => {
      const client = createClient(url)
      onTestFinished(() => client.close())
      await writeValues(client, 'across/page/')
      const { found, expected } = await readValues(client, 'across/page/')
      expect(found).toStrictEqual(expected)
    })
  })
}
