/**
 * Every call of the client, straight to the children of a node: nothing but what belongs to the
 * coordinator goes through it.
 */
import { afterAll, beforeAll } from 'vitest'
import { describeKeyspace } from './behaviour/keyspace-behaviour.js'
import { Scene } from './scene/scene.js'

const scene = new Scene('direct')
let url = ''

beforeAll(async () => {
  const node = await scene.startNode({ children: 2 })
  url = node.url
})
afterAll(() => scene.end())

describeKeyspace({
  name: 'direct',
  makeClient: () => scene.client({ url, direct: true, timeout: 20_000 }),
})
