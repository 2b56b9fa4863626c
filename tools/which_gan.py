"""Writes the table of what `ganarium train` takes by itself into the pages which-gan.md, English and Chinese.

The rows are the rules of `recommend`. A reason that has no Chinese sentence here stops the drawing.
"""

# ruff: noqa: RUF001 - Chinese punctuation
from pathlib import Path

from ganarium import registry
from ganarium.training.recommend import FEW, FEW_OF_A_CLASS, KINDS, SMALL

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {DOCS / "which-gan.md": "en", DOCS / "zh" / "which-gan.md": "zh"}  # page: its language
START, END = "<!-- recommended: drawn by tools/which_gan.py -->\n", "<!-- end of recommended -->\n"
HEADER = {"en": "| data | first | then |\n", "zh": "| 数据 | 首选 | 其次 |\n"}
WORDS = {  # kind of data: English, Chinese
    "pairs": ("pairs of pictures", "成对的图片"),
    "two domains": ("two piles without pairs", "两堆不成对的图片"),
    "captions": ("pictures with sentences", "配有文字描述的图片"),
    "patches": ("photos, with `--layout patches`", "照片，加上 `--layout patches`"),
    "classes": (f"classes of {FEW_OF_A_CLASS} images and more", f"每类 {FEW_OF_A_CLASS} 张以上"),
    "digits by class": (
        f"{FEW:,} small grey images and more, in classes",
        f"分好类别的灰度小图，{FEW:,} 张以上",
    ),
    "few of a class": (f"classes of fewer than {FEW_OF_A_CLASS} images", f"每类不到 {FEW_OF_A_CLASS} 张"),
    "few": (f"fewer than {FEW:,} images", f"不到 {FEW:,} 张图片"),
    "many": (f"{FEW:,} images and more", f"{FEW:,} 张以上"),
    "small and many": (
        f"{FEW:,} images and more of at most {SMALL} pixels a side",
        f"边长不超过 {SMALL} 像素，{FEW:,} 张以上",
    ),
    "points": ("2-D points", "二维的点"),
}
CHINESE = {  # of the reasons of `recommend`
    "learns from pairs what one becomes in the other": "从成对的图片学会由一张得到另一张",
    "needs no pairs: take it where the pairs do not fit well": "不需要成对：配对不够准确时用它",
    "needs no pairs, and bears large changes of shape": "不需要成对，形状变化大也能应付",
    "turns one kind into the other without pairs": "不需要成对，就能把一种变成另一种",
    "bears large changes of shape": "形状变化大也能应付",
    "the same under Wasserstein critics": "同样的想法，换成 Wasserstein 评判器",
    "draws what a sentence says": "按一句话作画",
    "makes images like these, without the sentences": "生成类似的图片，不看文字",
    "a modern baseline without the sentences": "现代的基线，不看文字",
    "enlarges small photos": "放大小照片",
    "is slower and sharper": "更慢，也更清晰",
    "makes new windows of such photos": "生成这类照片的新片段",
    "draws the class asked for": "画出指定的类别",
    "draws the class asked for, and classifies": "画出指定的类别，也能分类",
    "makes images of all classes, without being told which": "生成各个类别的图片，不能指定",
    "draws the class asked for, with small networks": "用小网络画出指定的类别",
    "becomes a classifier from few labels": "用少量标签学成分类器",
    "learns from few photos; each class alone has too few": "照片少也能学；单独一个类别的照片太少",
    "draws the class asked for, from few images of it": "画出指定的类别，每类图片少也可以",
    "the short file to learn from": "文件短，适合学习",
    "is made for a few hundred photos": "专为几百张照片设计",
    "learns from ImageNet features, of a frozen network": "借助在 ImageNet 上训练好、冻结不动的网络的特征",
    "a light GAN that needs no pretrained features": "轻量的 GAN，不需要预训练的特征",
    "a modern baseline, for a GPU or a night": "现代的基线，适合有 GPU 或能跑一夜",
    "a short file, for small images": "文件短，适合小图",
    "if dcgan collapses or D wins": "dcgan 模式崩溃或 D 占上风时用",
    "finds kinds and styles without labels": "不用标签就能找出种类和风格",
    "the game itself, in a minute": "这场博弈本身，一分钟见分晓",
    "a loss that follows the distance": "损失跟着距离走",
    "scores that compare reals with fakes": "打分比较真实样本与生成样本",
    "a modern baseline": "现代的基线",
}


def table(language: str) -> str:
    """The table in Markdown, a row for each kind of data."""
    known, english = registry.list_models(), language == "en"
    rows = [HEADER[language], "| --- | --- | --- |\n"]
    for kind, choices in KINDS.items():
        shown = [(choice.model, choice.reason) for choice in choices if choice.model in known]
        first, *others = [f"`{name}`: {why}" if english else f"`{name}`：{CHINESE[why]}" for name, why in shown]
        rows.append(f"| {WORDS[kind][not english]} | {first} | {('; ' if english else '；').join(others)} |\n")
    return "".join(rows)


def written(page: Path) -> str:
    """The text of a page with the table of today."""
    before, rest = page.read_text(encoding="utf-8").split(START)
    _, after = rest.split(END)
    return before + START + table(PAGES[page]) + END + after


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(written(page), encoding="utf-8")
