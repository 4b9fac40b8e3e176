import { describe, expect, test } from 'vitest'
import { CommitRounds, PATIENCE_MS } from './commit-rounds.js'

interface Write {
  begun: boolean
  end(): void
}

function start(): {
  clock: { nowMs: number }
  rounds: CommitRounds
  write: () => Write
  turn: () => Promise<void>
} {
  const clock = { nowMs: 1_000 }
  const rounds = new CommitRounds(() => clock.nowMs)
  const write = (): Write => {
    const log: Write = { begun: false, end: () => undefined }
    rounds.take(() => {
      log.begun = true
      return new Promise((resolve) => {
        log.end = resolve
      })
    })
    return log
  }
  return { clock, rounds, write, turn: () => new Promise((resolve) => setImmediate(resolve)) }
}

describe('commit rounds', () => {
  test('a lone write → at once', async () => {
    const { write, turn } = start()
    const lone = write()
    await turn()
    expect(lone.begun).toBe(true)
  })

  test('several logs in one turn → one round', async () => {
    const { write, turn } = start()
    const logs = [write(), write(), write()]
    await turn()
    expect(logs.map(({ begun }) => begun)).toEqual([true, true, true])
  })

  test('a round is being synced → what comes waits until all of it is durable', async () => {
    const { write, turn } = start()
    const [first, second] = [write(), write()]
    await turn()
    const late = write()
    first.end()
    await turn()
    expect(late.begun).toBe(false)
    second.end()
    await turn()
    expect(late.begun).toBe(true)
  })

  test('a log that has nothing to write after all → the round does not wait for it', async () => {
    const { rounds, write, turn } = start()
    rounds.take(() => undefined)
    await turn()
    const next = write()
    await turn()
    expect(next.begun).toBe(true)
  })

  test('P7: a round takes too long → the next one does not wait for it', async () => {
    const { clock, write, turn } = start()
    write()
    await turn()
    clock.nowMs += PATIENCE_MS + 1
    const next = write()
    await turn()
    expect(next.begun).toBe(true)
  })

  test('P7: a round never ends and nothing comes → those that wait go on with the next tick', async () => {
    const { clock, rounds, write, turn } = start()
    write()
    await turn()
    const waiting = write()
    await turn()
    expect(waiting.begun).toBe(false)
    clock.nowMs += PATIENCE_MS + 1
    rounds.onTick()
    await turn()
    expect(waiting.begun).toBe(true)
  })
})
