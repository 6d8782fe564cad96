"""Which files the MediaPipe backend runs on: graphs of Google's MediaPipe, Apache-2.0, known by their sha256.

Each is published in one or two forms, given as bytes and sha256: first that of the `mediapipe` wheels on PyPI, then
that of npm's `@mediapipe/holistic` 0.5.1675471629. The larger body graph is in the latter alone.
"""

from ...weights.installed import FileSet, KnownFile

POSE_DETECTOR = "pose_detection.tflite"
BODY_FULL, BODY_HEAVY = "pose_landmark_full.tflite", "pose_landmark_heavy.tflite"
PALM_DETECTOR, HAND = "palm_detection_full.tflite", "hand_landmark_full.tflite"
FACE_DETECTOR, FACE = "face_detection_short_range.tflite", "face_landmark.tflite"

MEDIAPIPE = FileSet(
    name="mediapipe",
    requirement="mediapipe==0.10.14",
    licence="Apache-2.0 (Google's MediaPipe)",
    files=(
        KnownFile(
            POSE_DETECTOR,
            (
                (2959046, "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c"),
                (2962288, "a63c614bef30d35947f13be361820b1e4e3bec9cfeebf4d11216a18373108e85"),
            ),
        ),
        KnownFile(BODY_FULL, ((6440512, "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"),)),
        KnownFile(
            BODY_HEAVY, ((27709200, "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe"),), optional=True
        ),
        KnownFile(
            PALM_DETECTOR,
            (
                (2339846, "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54"),
                (2341280, "2f25e740121983f68ffc05f99991d524dc0ea812134f6316a26125816941ee85"),
            ),
        ),
        KnownFile(
            HAND,
            (
                (5478917, "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3"),
                (5478688, "8c026882c9ec059ce0f8e75266bee5a9a23c341a40e0000df755374d3d1b9b68"),
            ),
        ),
        KnownFile(
            FACE_DETECTOR,
            (
                (229714, "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8"),
                (229032, "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633"),
            ),
        ),
        KnownFile(
            FACE,
            (
                (1242398, "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"),
                (1241896, "c603fa6149219a3e9487dc9abd7a0c24474c77263273d24868378cdf40aa26d1"),
            ),
        ),
    ),
)
