/**
 * Every call of the client, on a node of one child, through its coordinator.
 */
import { afterAll, beforeAll } from 'vitest'
import { describeKeyspace } from './behaviour/keyspace-behaviour.js'
import { Scene } from './scene/scene.js'

const scene = new Scene('one child')
let url = ''

beforeAll(async () => {
  const node = await scene.startNode({ children: 1 })
  url = node.url
})
afterAll(() => scene.end())

describeKeyspace({ name: 'one child', makeClient: () => scene.client({ url, direct: false }) })
