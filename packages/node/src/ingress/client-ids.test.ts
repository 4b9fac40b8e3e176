import { describe, expect, test } from 'vitest'
import { CLIENT_ID_BLOCK, ClientIds } from './client-ids.js'

const SECRET = '00'.repeat(32)

/** A source whose writes end when the test says so. */
function setUp(next: number, end: number): { ids: ClientIds; asked: number[]; wrote: () => void } {
  const asked: number[] = []
  let resolve = (): void => {}
  const reserve = (newEnd: number): Promise<void> => {
    asked.push(newEnd)
    return new Promise((done) => {
      resolve = done
    })
  }
  return {
    ids: new ClientIds({ next, end, secret: SECRET, reserve }),
    asked,
    wrote: () => resolve(),
  }
}

describe('client ids', () => {
  test('one after the other → growing', () => {
    const { ids } = setUp(10, 10 + CLIENT_ID_BLOCK)
    const issued = Array.from({ length: 3 }, () => ids.issue()?.clientId)
    expect(issued).toEqual([10, 11, 12])
  })

  test('half of the block is gone → the next is reserved, once', () => {
    const { ids, asked } = setUp(1, 3)
    ids.issue()
    ids.issue()
    expect(asked).toEqual([3 + CLIENT_ID_BLOCK])
  })

  test('nothing is reserved → none is given until the reservation is durable', async () => {
    const { ids, wrote } = setUp(1, 1)
    expect(ids.issue()).toBeUndefined()
    wrote()
    await Promise.resolve()
    await Promise.resolve()
    expect(ids.issue()?.clientId).toBe(1)
  })

  test('a secret → genuine with its own id only, for any coordinator of the directory', () => {
    const { ids } = setUp(10, 10 + CLIENT_ID_BLOCK)
    const { clientId, secret } = ids.issue()!
    const { ids: successor } = setUp(500, 500 + CLIENT_ID_BLOCK)
    expect(successor.isGenuine(clientId, secret)).toBe(true)
    expect(successor.isGenuine(clientId + 1, secret)).toBe(false)
    expect(successor.isGenuine(clientId, secret.subarray(1))).toBe(false)
    expect(successor.isGenuine(clientId, new Uint8Array())).toBe(false)
  })
})
