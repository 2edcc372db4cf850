"""The texts of the experiments' figures and reports, in Korean."""

from __future__ import annotations

import re

from mini_dl.experiments._types import Figure
from mini_dl.utils.viz import korean_font

PHRASES = """
step | 스텝
epoch | 에폭
accuracy | 정확도
momentum | 모멘텀
learning rate | 학습률
weight decay | 가중치 감소
cross entropy | 교차 엔트로피
squared error | 제곱 오차
numerical | 수치 미분
backpropagated | 역전파
train images | 훈련 이미지
test images | 테스트 이미지
$-\\nabla f$, over the lines of equal $f$ | $-\\nabla f$와 $f$의 등고선
The way down with rate 0.1 | 학습률 0.1로 내려가는 길
steps, numerical gradient | 수치 미분으로 구한 스텝
distance from the minimum | 최솟값까지의 거리
Distance after each step | 스텝마다 남은 거리
numerical gradients | 수치 미분 기울기
cross entropy of the batch | 배치의 교차 엔트로피
Loss of each step | 스텝별 손실
Accuracy after each epoch | 에폭별 정확도
Each point a parameter's derivative | 점 하나가 매개변수 하나의 미분값
mean absolute difference | 절대 차이의 평균
Numerical and backpropagated apart | 수치 미분과 역전파의 차이
accuracy of {} images | 이미지 {}장의 정확도
The whole range | 전체 범위
Nearer | 확대
value of the weight (dotted: as trained) | 가중치의 값 (점선: 학습된 값)
answer (wanted: 0) | 출력 (정답: 0)
usual start | 보통의 출발
saturated start | 포화된 출발
derivative by w | w에 대한 미분
cross entropy, running mean | 교차 엔트로피, 이동 평균
accuracy of the test images | 테스트 이미지의 정확도
accuracy on the validation images | 검증 이미지의 정확도
one rate for both | 공통 학습률 하나
x, flat | x, 완만한 방향
y, steep | y, 가파른 방향
length of a step | 스텝의 길이
0.5 to 0.99 | 0.5에서 0.99로
std {} | 표준편차 {}
layer {} | {}층
a guess: ln 10 | 찍었을 때: ln 10
Loss, mean of 20 steps | 손실, 20스텝 평균
Accuracy on the test images | 테스트 이미지의 정확도
train accuracy | 훈련 정확도
with batch norm | 배치 정규화 있음
without | 없음
neither | 둘 다 없음
weight decay {} | 가중치 감소 {}
dropout {} | 드롭아웃 {}
weight of the upper half | 위쪽 절반의 가중치
weight of the lower half | 아래쪽 절반의 가중치
one feature 5 times as large | 한 특성이 5배
both positive | 둘 다 양수
standardized | 표준화
steepest / flattest curvature: {} | 최대 곡률 / 최소 곡률: {}
squared error above the least | 최솟값을 뺀 제곱 오차
Error of the linear unit | 선형 유닛의 오차
Network: loss after two epochs | 신경망: 두 에폭 후의 손실
Network: each with its best rate | 신경망: 각각 가장 좋은 학습률로
cross entropy, mean of {} steps | 교차 엔트로피, {}스텝 평균
0 to 255 | 0~255
0 to 1 | 0~1
{}, rate {} | {}, 학습률 {}
rate {}, decay {} | 학습률 {}, 감소 {}
rate {} | 학습률 {}
Trials: large mini_dl, small torch | 시도: 큰 점은 mini_dl, 작은 점은 torch
Trials | 시도
The best {} | 상위 {}개
before | 학습 전
after, | 학습 후,
after | 학습 후
relu of | 응답의
the answer | ReLU
ten | 10
plain, {} batch normalization | 일반, 배치 정규화 {}
residual, {} batch normalization | 잔차, 배치 정규화 {}
with | 있음
{} layers | {}층

{} gradients, all within {} of 2x; at {} it is {} | 기울기 {}개, 모두 2x와의 차이가 {} 이내; {}에서 {}
{} gradients, rate {}: from {} to {} | {} 기울기, 학습률 {}: {}에서 {}까지
mean loss {} in the first epoch, {} in the last | 평균 손실: 첫 에폭 {}, 마지막 에폭 {}
accuracy {} of the images trained on, {} of the test images | 정확도: 훈련 이미지 {}, 테스트 이미지 {}
{}: mean absolute difference of W1 {}, b1 {}, W2 {}, b2 {} | {}: 절대 차이의 평균 W1 {}, b1 {}, W2 {}, b2 {}
of {} values of one weight, accuracy is the same as at the value before for {}: {} different values between {} and {} \
| 한 가중치의 값 {}개 가운데 {}에서 정확도가 바로 앞의 값에서와 같습니다: 서로 다른 값 {}개, {}에서 {} 사이
the loss has a derivative everywhere: its size lies between {} and {} | 손실은 어디서나 미분됩니다: 크기는 {}에서 {} 사이
{}: answer {}, derivative {}; below 0.2 after {} steps | {}: 출력 {}, 미분 {}; {}스텝 후 0.2 아래
{}, {} start | {}, {} 출발
usual | 보통의
saturated | 포화된
{}: after {} steps on the bowl at {}; mean loss of the last epoch {}, accuracy of the test images {} \
| {}: 그릇 위 {}스텝 후 {}; 마지막 에폭의 평균 손실 {}, 테스트 이미지의 정확도 {}
{}: after {} steps at {}; at last {} for x and {} for y | {}: {}스텝 후 {}; 마지막 값은 x에서 {}, y에서 {}
momentum {}: mean loss of the first epoch {}, of the last {}; accuracy of the test images {} \
| 모멘텀 {}: 평균 손실 첫 에폭 {}, 마지막 에폭 {}; 테스트 이미지의 정확도 {}
{}, {}: standard deviations of the layers {} | {}, {}: 층별 표준편차 {}
{}: last loss {}, accuracy on the test images {} | {}: 마지막 손실 {}, 테스트 이미지의 정확도 {}
std {} train accuracy with batch norm {}, without {} | 표준편차 {} 훈련 정확도: 배치 정규화 있음 {}, 없음 {}
above {}: with batch norm {} of {} scales, without {} of {} scales | {} 초과: 배치 정규화 있음 {1}/{2}, 없음 {3}/{4}
{}: last loss and accuracy, train {} and {}, test {} and {}; the test loss was lowest, {}, after epoch {} \
| {}: 마지막 손실과 정확도 훈련 {}, {}, 테스트 {}, {}; 테스트 손실의 최솟값은 {6}번째 에폭 후의 {5}
{}: curvatures {} to 1; error above the least {} at first, {} after 20 steps; {} of the images move both weights the same way \
| {}: 곡률의 비 {} : 1; 최솟값을 뺀 오차 처음 {}, 20스텝 후 {}; 두 가중치를 같은 쪽으로 옮기는 이미지 {}
pixels {}: lowest loss {}, with learning rate {} | 픽셀 {}: 가장 낮은 손실 {}, 학습률 {}
{}. learning rate {}, weight decay {}: train {}, validation {} | {}. 학습률 {}, 가중치 감소 {}: 훈련 {}, 검증 {}
the best {} of {}: powers of ten of the learning rate over {} of {}, of the weight decay over {} of {} \
| {1}개 중 상위 {0}개: 학습률의 10의 지수는 폭 {3} 중 {2}에, 가중치 감소는 폭 {5} 중 {4}에 걸쳐 있습니다
{}: accuracy on the test images {}; neighboring weights differ by {} of the variance (noise: {}) \
| {}: 테스트 이미지의 정확도 {}; 이웃한 가중치의 차이는 분산의 {}배 (잡음: {})
{} layers {} batch norm, last loss and test accuracy: plain {} and {}; residual {} and {} \
| {}층, 배치 정규화 {}, 마지막 손실과 테스트 정확도: 일반 {}, {}; 잔차 {}, {}
{}, {} layers {} batch norm: the libraries' losses part (by 1e-6) at step {} \
| {}, {}층, 배치 정규화 {}: 두 라이브러리의 손실이 갈라지는(1e-6 넘게) 스텝 {}
plain | 일반
residual | 잔차
{} alone: nothing to compare | {}만 실행: 비교할 것이 없습니다
largest difference between {} and {}: {} (rounding grows here: not judged) \
| {}와 {}의 가장 큰 차이: {} (여기서는 반올림 오차가 커지므로 판정하지 않습니다)
largest difference between {} and {}: {}, allowed {} | {}와 {}의 가장 큰 차이: {}, 허용 {}
"""


def _numbered(text: str) -> str:
    """Its `{}` numbered, so that a translation may change their order."""
    count = iter(range(text.count("{}")))
    return re.sub(r"\{\}", lambda _: f"{{{next(count)}}}", text)


def _pattern(text: str) -> re.Pattern[str]:
    words = [re.escape(part).replace(r"\ ", r"\s+") for part in text.split("{}")]
    return re.compile("(.+?)".join(words))


PAIRS = [line.replace("\\\\", "\\").split(" | ") for line in PHRASES.splitlines() if line]
EXACT = {english: korean for english, korean in PAIRS if "{" not in english}
TEMPLATES = [
    (_pattern(english), _numbered(korean)) for english, korean in sorted(PAIRS, key=lambda pair: -len(pair[0])) if "{}" in english
]
"""The longest first: the shorter ones match parts of them too."""


def translated(text: str) -> str:
    """Each line translated by its phrase, including its placeholders; unchanged if there is none: a number, a name."""
    if "\n" in text:
        return "\n".join(map(translated, text.split("\n")))
    if text in EXACT:
        return EXACT[text]
    for pattern, korean in TEMPLATES:
        if found := pattern.fullmatch(text):
            return korean.format(*map(translated, found.groups()))
    return text


def write_in_korean(figure: Figure) -> None:
    """All texts of the figure in Korean; none if no installed font has the letters."""
    from matplotlib.text import Text

    family = korean_font()
    if family is None:
        print("(그림에 쓸 한글 글꼴이 없습니다: pip install koreanize-matplotlib)")
        return
    for text in figure.findobj(Text):
        korean = translated(text.get_text())
        if korean != text.get_text():
            text.set_text(korean)
            text.set_fontfamily([family, "DejaVu Sans"])
