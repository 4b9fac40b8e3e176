import { expect, test } from 'vitest'
import { UPGRADES_PER_TURN_MAX, UPGRADES_WAITING_MAX, UpgradeLine } from './upgrade-line.js'

async function nextTurn(): Promise<void> {
  await new Promise((resolve) => void setImmediate(resolve))
}

function start(): { line: UpgradeLine; answered: number[]; come: (count: number) => void } {
  const line = new UpgradeLine()
  const answered: number[] = []
  let last = 0
  const come = (count: number): void => {
    for (let each = 0; each < count; each += 1) {
      const number = (last += 1)
      line.take(() => answered.push(number))
    }
  }
  return { line, answered, come }
}

test('few that come → answered at once', () => {
  const { answered, come } = start()
  come(UPGRADES_PER_TURN_MAX)
  expect(answered).toEqual([1, 2, 3, 4])
})

test('hundreds that come at once → so many a turn, in the order they came; who comes later is behind', async () => {
  const { answered, come } = start()
  come(100)
  for (let turn = 1; turn <= 25; turn += 1) {
    expect(answered).toHaveLength(turn * UPGRADES_PER_TURN_MAX)
    if (turn === 2) come(1)
    await nextTurn()
  }
  expect(answered).toEqual(Array.from({ length: 101 }, (_, index) => index + 1))
})

test('more than may wait → the line says so, until some have had their turn', async () => {
  const { line, come } = start()
  come(UPGRADES_PER_TURN_MAX + UPGRADES_WAITING_MAX - 1)
  expect(line.isFull).toBe(false)
  come(1)
  expect(line.isFull).toBe(true)
  await nextTurn()
  expect(line.isFull).toBe(false)
})
