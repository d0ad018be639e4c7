import { defineCodes } from '@millrace/errors';

/** The stable codes of this library. */
export const eventCodes = defineCodes({
  NATS_TOO_OLD: {
    kind: 'failed_precondition',
    meaning: 'The nats-server is older than 2.10, or cannot tell its version.',
  },
  NATS_NOT_FOUND: {
    kind: 'failed_precondition',
    meaning: 'No usable nats-server was found and none could be fetched.',
  },
  NATS_NOT_STARTED: { kind: 'failed_precondition', meaning: 'The nats-server did not start.' },
  STREAM_CONFIG_DIFFERS: {
    kind: 'failed_precondition',
    meaning: 'The server did not take over a setting of a stream or consumer.',
  },
  OUT_OF_ORDER: {
    kind: 'failed_precondition',
    meaning: 'The newest message of a stream is not the one that a message was to follow.',
  },
  EVENT_TOO_LARGE: {
    kind: 'resource_exhausted',
    meaning: 'The data of an event is larger than one message may be.',
  },
  EVENT_UNDECODABLE: { kind: 'invalid_argument', meaning: 'A message is not an event of the catalogue.' },
});
